"""Reading and writing: atomic writes, HDF5, prepared data sets, sources of images, tidy tables."""
