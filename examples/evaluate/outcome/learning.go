package outcome

// Learning is what somebody, or a change, made of a baseline.
type Learning struct {
	Name     string  `json:"name"`
	What     string  `json:"what"`
	Quantity string  `json:"quantity"`
	Figure   float64 `json:"figure"`
	Bound    float64 `json:"bound"`
	// Details are figures on the way there.
	Details map[string]float64 `json:"details"`
}

// Within says whether the figure is within its bound.
func (l *Learning) Within() bool { return l.Figure <= l.Bound*(1+1e-6) }
