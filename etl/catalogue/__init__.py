"""The catalogue file: opening it, the ledger of what was read, versions of the stages, and workers."""
