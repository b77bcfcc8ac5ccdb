"""Photometry in time: the tables of TESS, ASAS-SN and ZTF in the forms in which their services and programs write them."""
