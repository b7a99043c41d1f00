package gateway

import "time"

// Bounds and time-outs. Where nginx or APISIX has the same limit, its default is the value here.
const (
	maxHeadBytes       = 4 * 8 << 10 // of one request's head: nginx large_client_header_buffers 4 8k
	maxHeadLine        = 8 << 10     // of one line in it; a longer request line answers 414, the rest 400
	maxRequestsPerConn = 1000        // nginx keepalive_requests: the next answer closes the connection
	maxLuaHeaders      = 100         // ngx.req.get_headers(): APISIX's plugins, and so the runner, see no later ones
	maxFramePayload    = 1<<24 - 1   // bytes: the length field has 24 bits
	maxCallTries       = 3           // per call, while the runner answers "conf token not found"
	idCounterSize      = 1 << 22     // HTTPReqCall ids of one worker before they repeat

	poolSize   = 32                // idle runner connections of one worker; the oldest makes room
	poolIdle   = 180 * time.Second // an idle runner connection is closed after it
	dictTTL    = 3240 * time.Second
	lruTTL     = 3600 * time.Second
	lruEntries = 8 // route-and-phase keys of one worker; the least recently used makes room

	runnerConnectTimeout = time.Second
	runnerReadTimeout    = 60 * time.Second // per read of a frame's head or payload, and per write
	prepareLockTimeout   = 5 * time.Second  // waiting for another PrepareConf of the gateway

	clientHeaderTimeout = 60 * time.Second
	clientBodyTimeout   = 60 * time.Second // between two reads
	clientSendTimeout   = 10 * time.Second // between two writes
	keepaliveTimeout    = 60 * time.Second
	lingeringTime       = 30 * time.Second // in all, for reading the rest of a body nobody wants
	lingeringRefused    = time.Second      // for what follows a head that could not be read
	lingeringBytes      = 1 << 20          // bytes, at most, of it
	tlsHandshakeTimeout = 60 * time.Second

	upstreamTimeout   = 60 * time.Second // to connect, and between two reads
	upstreamIdle      = 60 * time.Second
	upstreamIdleConns = 320 // per node

	closeWait = 5 * time.Second // [Gateway.Close]: for calls under way
)
