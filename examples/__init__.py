"""Uses of the callbacks outside of lit_vlr."""
