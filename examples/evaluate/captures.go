package main

import (
	"context"
	"os"

	"fivetuple/correlator/watch"
	"fivetuple/examples/evaluate/captures"
	"fivetuple/examples/evaluate/outcome"
)

// captureParts lists the captures of the folder: attacks, and ordinary traffic.
func captureParts(o *options, settings watch.Options) (all []part, err error) {
	list, err := captures.Read(o.folder)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		name := "ordinary capture/"
		switch c.Label {
		case captures.Odd:
			continue
		case captures.Attack:
			name = "attack capture/"
		case captures.Ordinary:
		}
		all = append(all, part{name + c.Name, func(_ context.Context, to *outcome.Report) error {
			return c.Evaluate(settings, to, os.Stderr)
		}})
	}
	return all, nil
}
