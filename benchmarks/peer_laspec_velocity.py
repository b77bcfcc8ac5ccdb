"""laspec's velocities of the same spectra: run by `benchmarks.velocities` in laspec's own environment (numpy below 1.24, scipy below 1.11).

    python peer_laspec_velocity.py IN.npz OUT.npz

Reads wavelengths and rectified flux of spectra and of templates, measures each spectrum with `laspec.ccf.RVM.measure` (no Monte Carlo), and writes
velocities and the CPU seconds per spectrum: with all templates, and with the one that fits best, as if it were known.
"""

import sys
import time
import warnings

import numpy as np
from laspec.ccf import RVM

warnings.simplefilter("ignore")
given = np.load(sys.argv[1])
wavelength, templates = given["template_wavelength_a"], given["template_flux"]
number = np.arange(len(templates))[:, None]
everything = RVM(number, wavelength, templates)
measured, best, seconds = [], [], []
for flux in given["flux"]:
    start = time.process_time()
    found = everything.measure(given["wavelength_a"], flux)
    between = time.process_time()
    one = RVM(number[:1], wavelength, templates[found["imod"]]).measure(given["wavelength_a"], flux)
    seconds.append((between - start, time.process_time() - between))
    measured.append(found["rv_opt"])
    best.append(one["rv_opt"])
np.savez(sys.argv[2], rv=measured, rv_one=best, seconds=seconds)
