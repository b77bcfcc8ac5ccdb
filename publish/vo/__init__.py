"""Virtual Observatory: VOTable, FITS, spectra and the Table Access Protocol."""
