"""becat: a catalogue of classical Be stars from LAMOST spectra, as one DuckDB file."""
