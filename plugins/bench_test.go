package plugins_test

import "testing"

func BenchmarkRequestFilter(b *testing.B) {
	for _, c := range []struct{ name, conf string }{
		{"headers", `{}`}, {"dictionary", `{"format":"dictionary"}`}, {"match", `{"headers":["match"]}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, _ := newInsight(b, newWire())
			parsed, _ := p.ParseConf([]byte(c.conf))
			r := newRequest("Accept: */*", "Host: example")
			b.ReportAllocs()
			for b.Loop() {
				r.header.Set("X-Packet-Tuple", wireTuple)
				p.RequestFilter(parsed, nil, r)
			}
			if len(owned(r.header.Header)) == 0 {
				b.Fatal(r.header)
			}
		})
	}
}
