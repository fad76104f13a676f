"""Reading runs of Avro records as columns: needs the extra ``streams`` (numpy, numba)."""
