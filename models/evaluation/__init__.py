"""How good the classifier is: on simulated and on real spectra, as a page with figures."""
