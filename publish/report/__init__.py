"""The figures and tables of the paper, made from a catalogue."""
