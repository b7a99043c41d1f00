package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// readPackets returns how many packets a capture has, by its description, X.meta.json.
func readPackets(path string) (uint64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var meta struct {
		Packets *uint64 `json:"packets_raw_parser"`
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		return 0, fmt.Errorf("%s: %w", path, place(err))
	}
	if meta.Packets == nil {
		return 0, fmt.Errorf("%s: packets_raw_parser is missing", path)
	}
	return *meta.Packets, nil
}
