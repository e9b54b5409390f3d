"""Networks of Caffe: the two files that describe one, and their conversion."""
