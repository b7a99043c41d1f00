package store

const (
	// namesakeBeats is for how many beats a foreign one counts.
	namesakeBeats = 12
	// namesakeStrikes of them are another gateway, and not one that was just ending.
	namesakeStrikes = 2
)

// namesake notices another gateway under the same name, by finding its words where one's own should be. A gateway that takes over finds
// its predecessor's once, at its own first beat, and perhaps once more while that one ends.
type namesake struct {
	beats uint // so far
	last  [namesakeBeats]bool
}

// beat takes what the last beat found and says whether there is a namesake, and whether that is news.
func (n *namesake) beat(isForeign bool) (isThere, isNews bool) {
	before := n.strikes()
	if n.beats > 0 {
		n.last[n.beats%namesakeBeats] = isForeign
	}
	n.beats++
	isThere = n.strikes() >= namesakeStrikes
	return isThere, isThere && before < namesakeStrikes
}

func (n *namesake) strikes() (count int) {
	for _, isForeign := range n.last {
		if isForeign {
			count++
		}
	}
	return count
}
