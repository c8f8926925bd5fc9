package simulate

// chance gives numbers that follow from the seed and from what they are for, and from nothing else: not from who asked
// before.
type chance uint64

// The things that are drawn.
const (
	drawLatency = iota
	drawLifetime
	drawForeign
	drawSlow
)

// draw gives a number below n for one thing that happens to a tenant.
func (c chance) draw(n uint64, what, tenant, nth int) uint64 {
	x := uint64(c)
	for _, part := range []int{what, tenant, nth} {
		x = mix(x ^ mix(uint64(part)+0x9e3779b97f4a7c15))
	}
	return x % n
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
