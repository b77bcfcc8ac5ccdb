"""Finding spectra and release catalogues on disk, and loading them."""
