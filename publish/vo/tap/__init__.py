"""Table Access Protocol: ADQL of strangers on the snapshot, in processes of their own."""
