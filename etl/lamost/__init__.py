"""LAMOST's own service: its releases, their catalogues, and the spectra that a selection needs."""
