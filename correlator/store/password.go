package store

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"fivetuple/conf/safefile"
)

// maxPassword is the longest password taken, in bytes.
const maxPassword = 4096

// password returns what is in the file or the environment variable, or "" if neither is given. Its errors name the setting.
func password(section, file, env string) (string, error) {
	switch {
	case file != "":
		text, err := readPassword(file)
		if err != nil {
			return "", fmt.Errorf("redis.%spassword_file: %w", section, err)
		}
		return text, nil
	case env != "":
		text := os.Getenv(env)
		if err := checkPassword(text); err != nil {
			return "", fmt.Errorf("redis.%spassword_env: %s: %w", section, env, err)
		}
		return text, nil
	}
	return "", nil
}

func readPassword(path string) (string, error) {
	text, err := safefile.Read(path, maxPassword+1)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSuffix(string(text), "\n")
	if err := checkPassword(secret); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return secret, nil
}

func checkPassword(secret string) error {
	if secret == "" {
		return errors.New("no password in it")
	}
	if len(secret) > maxPassword {
		return fmt.Errorf("more than %d bytes", maxPassword)
	}
	return nil
}
