"""Networks of other programs: from Caffe, and from and to ONNX."""

from symgraph.convert.caffe.load import load_caffe

__all__ = ["load_caffe"]
