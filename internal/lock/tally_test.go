package lock

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestTallies runs random histories in which sessions belong to principals with
// tight quotas, in a table with tight limits. Check counts everything anew; here it
// is seen that no limit is ever exceeded, and that two tables and one that was
// saved and restored agree.
func TestTallies(t *testing.T) {
	refused := map[Field]int{}
	for seed := range uint64(12) {
		x := newTallyTrial(seed)
		for range 400 {
			if err := x.step(refused); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, x.table.Describe())
			}
		}
	}
	for _, f := range []Field{
		FieldLocks, FieldWaiters, FieldBytes,
		FieldSessionsOfPrincipal, FieldLocksOfPrincipal, FieldWaitersOfPrincipal, FieldBytesOfPrincipal,
	} {
		if refused[f] == 0 {
			t.Errorf("the limit on %s was never reached", f)
		}
	}
}

type tallyTrial struct {
	random      *rand.Rand
	g           *generator
	table, twin *Table
}

// trialQuota and the settings are so tight that they are reached all the time.
var trialQuota = Quota{Sessions: 2, Locks: 4, Waiters: 1, Bytes: 70}

func newTallyTrial(seed uint64) *tallyTrial {
	x := &tallyTrial{random: rand.New(rand.NewPCG(seed, 2)), g: seeded(seed), table: New(), twin: New()}
	begin := Entry{Term: 1, StampTerm: 1, Commands: []Command{&SetSettings{Settings: Settings{
		Format: LimitsFormat, MaxLocks: 6, MaxWaiters: 3, MaxBytes: 160,
	}}, &Join{Member: "m0"}}}
	x.g.learn(begin.Commands, x.table.Apply(begin))
	x.twin.Apply(begin)
	return x
}

func (x *tallyTrial) step(refused map[Field]int) error {
	e := x.g.entry(1)
	for _, c := range e.Commands {
		x.dress(c)
	}
	r := x.table.Apply(e)
	for _, o := range r.Outcomes {
		if o.Code == Limit {
			refused[o.Field]++
		}
	}
	x.g.learn(e.Commands, r)
	x.twin.Apply(e)
	if x.random.IntN(8) == 0 {
		copied, err := copyOf(x.twin)
		if err != nil {
			return err
		}
		x.twin = copied
	}
	if x.twin.Counts() != x.table.Counts() || x.twin.Hash() != x.table.Hash() {
		return fmt.Errorf("a twin that was restored has %+v, the table %+v", x.twin.Counts(), x.table.Counts())
	}
	if err := x.table.Check(); err != nil {
		return err
	}
	return x.within()
}

// dress gives sessions principals, and commands longer texts.
func (x *tallyTrial) dress(c Command) {
	var info **Info
	switch c := c.(type) {
	case *Open:
		info = &c.Info
		c.Value = make([]byte, x.random.IntN(20))
	case *Resume:
		info = &c.Info
	case *SetValue:
		c.Value = make([]byte, x.random.IntN(60))
		return
	case *Acquire:
		c.Items[0].Name += "-and-more"
		return
	default:
		return
	}
	switch n := x.random.IntN(5); {
	case n < 2:
		*info = &Info{Principal: fmt.Sprintf("p%d", n), Quota: &trialQuota, Host: "host"[:x.random.IntN(5)]}
	case n == 2:
		*info = &Info{Principal: "free"}
	case n == 3:
		*info = &Info{User: "somebody"}
	}
}

// within wants the limits to hold. A session that is resumed may bring its principal
// what goes beyond, so a principal's are looked at by Check alone.
func (x *tallyTrial) within() error {
	c, set := x.table.Counts(), x.table.Settings()
	if c.Waiters > set.MaxWaiters || c.Locks > set.MaxLocks {
		return fmt.Errorf("beyond the limits: %+v", c)
	}
	return nil
}
