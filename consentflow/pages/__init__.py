"""Pages for leads, partners and officers: server-rendered, no script needed."""
