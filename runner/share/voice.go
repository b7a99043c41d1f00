package share

import (
	"context"
	"sync"
)

// voice is when this process speaks for its gateway. Two that do at a time, one of which takes over from the other, would take each
// other for namesakes, and each would write over what the other has said.
type voice struct {
	speaks, yields chan struct{} // closed when it begins, and when it ends
	begin, end     sync.Once
	before         <-chan struct{} // closed when the process before has said its last words; set when speaks is closed
}

func newVoice() voice { return voice{speaks: make(chan struct{}), yields: make(chan struct{})} }

// Speak has this process say that its gateway is there, what it holds flagged, and what it has learned and counted, from now on: it has
// the gateway's place. The process before it, which may have calls under way, goes on counting those until it is gone; figures wait for
// that, because they go on with what it has told last.
func (s *Share) Speak(gone <-chan struct{}) {
	s.voice.begin.Do(func() {
		s.voice.before = gone
		close(s.voice.speaks)
	})
}

// Yield has this process say no more that the gateway is there, what it holds and what it has learned: another process has its place, or
// this one will end. What is counted until then is said at once, and what calls that are still under way add to it until Run ends.
func (s *Share) Yield() { s.voice.end.Do(func() { close(s.voice.yields) }) }

// Speaks says whether this process has the gateway's place.
func (s *Share) Speaks() bool { return isClosed(s.voice.speaks) && !isClosed(s.voice.yields) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// present says that the gateway is there, while this process has its place.
func (s *Share) present(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.voice.speaks:
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		select {
		case <-ctx.Done():
		case <-s.voice.yields:
		}
	}()
	s.link.Presence.Run(ctx)
}
