package correlator

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"fivetuple/correlator/flow"
)

// Call is one API call as its gateway describes it.
type Call struct {
	Identity
	Tuple
	// ContentLength is the declared length of the body in bytes; 0 without a body, and meaningless if Chunked.
	ContentLength uint64
	// Chunked: the body's length is not declared.
	Chunked bool
	// Upgrade: the client asks for another protocol on the connection (RFC 9110, 7.8).
	Upgrade bool
	// HTTP2 asks the gateway whether the call came over HTTP/2. It is asked once a connection, and only over TLS,
	// where the bytes do not tell.
	HTTP2 func() bool
	// FlagAbove is the score above which the route's calls are flagged; 0: as Judge.FlagAbove says.
	FlagAbove float64
}

// Correlator finds a call's exchanges. It remembers the last call of each connection, for a bounded number of
// connections (Options.Connections): when there are more, the one without a call for the longest time is forgotten, and
// its next call is matched as one of a connection seen for the first time.
type Correlator struct {
	table    flow.Table
	sink     Sink
	judge    *judge // nil: nothing is judged
	quiet    uint64 // nanoseconds
	seed     maphash.Seed
	shards   [shards]shard
	pool     sync.Pool // of *flow.Record
	counters counters
}

// shards is how many calls can be matched at once.
const shards = 16

type shard struct {
	mu     sync.Mutex
	conns  *simplelru.LRU[flow.Key, *connection]
	looks  atomic.Uint64 // at connections, so far
	queue  queue
	record CallRecord // what the sink is given
	judged scratch
}

// connection is what is remembered of a connection between its calls.
type connection struct {
	flow, serial uint64 // the record's id and the gateway's number: another one is another connection
	look         uint64 // the shard's number of the last one
	requests     uint64 // number of the last call
	before       cursor // where the last call could begin
	after        cursor // where the next call can
	missed       uint64 // of the last call
	flowID       string
	http2        bool
	protocol     flow.Payload
	group        group
	closed       marks // where the last group ended
	// What it began with; 0 where that was not seen. TTLs are those of its SYN, and of the SYN of its source before it.
	first          flow.Payload
	ttl, ttlBefore uint8
	waits          bool   // it is in the queue
	hadCall        bool   // closed is set
	streams        uint64 // of HTTP/2: which of the last 64 numbers were seen, the highest in bit 0
}

// cursor says where the next call of a connection can begin.
type cursor struct {
	claimed uint32 // number of the last exchange in which an earlier call has a part
	next    uint32 // sequence number of the next call's first byte
	known   bool   // next is known: all lengths until here were
	unseen  bool   // calls came before that nothing is known of
	body    bool   // the last call has a body, which may have arrived after it was looked at
	late    uint16 // segments that the record lacked until here
}

// New returns a correlator over a table. The options must be valid. The sink gets the record of every call; nil: nobody
// wants them. Without a judge nothing is judged.
func New(table flow.Table, o Options, sink Sink, with *Judge) (*Correlator, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Correlator{table: table, sink: sink, quiet: uint64(o.Quiet), seed: maphash.MakeSeed()}
	if with != nil {
		c.judge = newJudge(*with, c.seed)
	}
	c.pool.New = func() any { return new(flow.Record) }
	for i := range c.shards {
		s := &c.shards[i]
		evicted := func(_ flow.Key, conn *connection) { c.cut(s, conn) }
		conns, err := simplelru.NewLRU(max(o.Connections/shards, 1), evicted)
		if err != nil {
			return nil, err
		}
		s.conns = conns
	}
	return c, nil
}

// Match returns what is known of a call at a time, CLOCK_MONOTONIC nanoseconds. Asked again for the same call, it
// answers by the same rules with later figures.
func (c *Correlator) Match(now uint64, call Call) Result {
	key := call.Key()
	r := c.pool.Get().(*flow.Record)
	defer c.pool.Put(r)
	s := &c.shards[maphash.Comparable(c.seed, key)%shards]
	looks := s.looks.Load()
	if err := c.table.Lookup(key, r); err != nil {
		return c.notFound(&call, key, err, now)
	}
	protocol, http2, asked := s.protocol(key, r, call)
	if protocol == flow.PayloadTLS && !asked {
		http2 = call.HTTP2 != nil && call.HTTP2() // a round trip to the gateway: not under the lock
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := c.lookAgain(s, key, r, looks); err != nil {
		return c.notFound(&call, key, err, now)
	}
	conn, isNew := c.connection(s, key, r, &call)
	s.looked(conn)
	conn.protocol, conn.http2 = protocol, http2
	claimed := conn.before.claimed
	p := pendingCall{call: call, result: conn.match(r, call, now), plugin: now}
	p.result.RTT.take(r)
	p.result.FlowID = conn.flowID
	var was *pendingCall
	if !isNew {
		was = conn.group.newest(call.Requests)
	}
	c.judgeLook(s, conn, r, &p, was)
	switch {
	case isNew:
		c.begin(s, key, conn, r, p, claimed)
	case was != nil:
		was.again(&p)
	}
	return p.result
}

// lookAgain reads the record anew, under the lock, if somebody has looked at the connection since the shard had so many looks: what was
// read before may be older than what is known by now, and figures only grow. Streams of HTTP/2 are looked at side by side.
func (c *Correlator) lookAgain(s *shard, key flow.Key, r *flow.Record, looks uint64) error {
	conn, ok := s.conns.Peek(key)
	if !ok || conn.look <= looks {
		return nil
	}
	id := r.Conn.ID
	if err := c.table.Lookup(key, r); err != nil {
		return err
	}
	if r.Conn.ID != id { // the call's connection has gone meanwhile
		return flow.ErrNotFound
	}
	return nil
}

// looked notes that what the record says by now is known of the connection.
func (s *shard) looked(conn *connection) { conn.look = s.looks.Add(1) }

// notFound is what is known of a call whose connection has no record.
func (c *Correlator) notFound(call *Call, key flow.Key, err error, now uint64) Result {
	res := Result{Reason: c.reason(err, key), FlowID: flow.CommunityID(key)}
	c.unmatched(call, res, now)
	return res
}

// judgeLook judges a call that has figures. What an earlier look at it said stays said.
func (c *Correlator) judgeLook(s *shard, conn *connection, r *flow.Record, p, was *pendingCall) {
	if c.judge == nil || p.result.Match == MatchNone {
		return
	}
	if was != nil {
		p.result.Facts = was.result.Facts
	}
	c.judge.look(&s.judged, conn, r, p)
}

// reason names why there is no record.
func (c *Correlator) reason(err error, key flow.Key) Reason {
	switch {
	case !errors.Is(err, flow.ErrNotFound):
		return ReasonOf(err)
	case c.table.HasUDP(key):
		return ReasonQUIC
	}
	return ReasonUnknownFlow
}

// protocol returns what the connection carries, and whether that was found out at an earlier call.
func (s *shard) protocol(key flow.Key, r *flow.Record, call Call) (protocol flow.Payload, http2, asked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn, ok := s.conns.Peek(key); ok && conn.is(r, call) && conn.protocol != flow.PayloadNone {
		return conn.protocol, conn.http2, true
	}
	protocol = r.Conn.Dir[flow.RX].Begins()
	return protocol, protocol == flow.PayloadHTTP2, false
}

// is says whether the call is of this connection, and not of another with the same 5-tuple.
func (conn *connection) is(r *flow.Record, call Call) bool {
	return conn.flow == r.Conn.ID && conn.serial == call.Connection
}

// connection returns what is remembered of the call's connection, brought forward to this call, and whether this is its
// first look at the call.
func (c *Correlator) connection(s *shard, key flow.Key, r *flow.Record, call *Call) (conn *connection, isNew bool) {
	conn, ok := s.conns.Get(key)
	if ok && conn.http2 && conn.is(r, *call) {
		return conn, conn.isNewStream(call.Requests)
	}
	if !ok || !conn.is(r, *call) || call.Requests < conn.requests {
		again := ok && conn.flow == r.Conn.ID // the record has calls of an earlier count
		if ok {
			c.cut(s, conn) // its end can't be told from what this connection has had until now
		}
		conn = &connection{flow: r.Conn.ID, serial: call.Connection, flowID: flow.CommunityID(key)}
		conn.before = cursor{unseen: call.Requests > 1 || again}
		if d := &r.Conn.Dir[flow.RX]; d.Known&flow.KnownISN != 0 {
			conn.before.next, conn.before.known = d.ISN+1, true
		}
		conn.requests, conn.streams = call.Requests, 1
		if c.judge != nil {
			c.judge.meet(conn, &key, r)
		}
		s.conns.Add(key, conn)
		return conn, true
	}
	if call.Requests > conn.requests {
		conn.missed = call.Requests - conn.requests - 1
		conn.before = conn.after
		conn.requests = call.Requests
		return conn, true
	}
	return conn, false
}

// isNewStream says whether a call over HTTP/2, of which many are under way at once, is looked at for the first time. It
// remembers the last 64 numbers; a call that is older is taken for one seen.
func (conn *connection) isNewStream(number uint64) bool {
	if number > conn.requests {
		conn.streams = conn.streams<<(number-conn.requests) | 1
		conn.requests = number
		return true
	}
	bit := uint64(1) << (conn.requests - number)
	isNew := bit != 0 && conn.streams&bit == 0
	conn.streams |= bit
	return isNew
}

// match applies the rules of the connection's protocol.
func (conn *connection) match(r *flow.Record, call Call, now uint64) Result {
	var res Result
	switch {
	case r.Exchange == 0:
		return Result{Reason: ReasonUnseen}
	case conn.http2:
		res = Result{Match: MatchConnection, TLS: conn.protocol == flow.PayloadTLS}
		res.takeConnection(r)
		return res
	case conn.protocol == flow.PayloadTLS:
		res, conn.after = matchTLS(r, call, conn.before, conn.missed)
	default:
		res, conn.after = matchHTTP1(r, call, conn.before, conn.missed, conn.protocol == flow.PayloadHTTP1)
	}
	late := r.Conn.Dir[flow.RX].Lacking() + r.Conn.Dir[flow.TX].Lacking()
	if late != conn.before.late {
		res = Result{Match: MatchShared, Reason: ReasonContended, Number: r.Exchange, TLS: res.TLS}
		conn.after = cursor{claimed: r.Exchange, body: conn.after.body}
	}
	conn.after.late = late
	res.Missed = conn.missed
	res.take(r, res.Number, now)
	return res
}
