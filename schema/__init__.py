"""What the catalogue is: tables with units, thresholds, lines, and the views of the selection."""
