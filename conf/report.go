package conf

// Report are the settings of the figures that reports are made of, the section `report`.
type Report struct {
	// Routes is how many routes are told apart; calls of others are `_other`.
	Routes int `koanf:"routes"`
}

// Validate reports every setting that is out of its range, by key, value and range.
func (r Report) Validate() error { return inRange("routes", r.Routes, 1, 10000) }
