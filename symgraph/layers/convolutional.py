"""The layers that Keras has in a module of this name."""

from symgraph.engine.base_layer import InputSpec, Layer
from symgraph.layers.conv import Conv1D, Conv2D
from symgraph.layers.depthwise import DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from symgraph.layers.old_layers import AtrousConvolution1D, AtrousConvolution2D
from symgraph.layers.pool import AveragePooling1D, AveragePooling2D, MaxPooling1D, MaxPooling2D
from symgraph.layers.resizing import (
    Cropping1D,
    Cropping2D,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from symgraph.layers.transposed import Conv2DTranspose
from symgraph.layers.volumes import (
    AveragePooling3D,
    Conv3D,
    Conv3DTranspose,
    Cropping3D,
    MaxPooling3D,
    UpSampling3D,
    ZeroPadding3D,
)

# Keras' second names.
Convolution1D = Conv1D
Convolution2D = Conv2D
Convolution3D = Conv3D
Convolution2DTranspose = Deconvolution2D = Deconv2D = Conv2DTranspose
Deconvolution3D = Deconv3D = Conv3DTranspose
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D
AtrousConv1D = AtrousConvolution1D
AtrousConv2D = AtrousConvolution2D

__all__ = [
    "AtrousConv1D",
    "AtrousConv2D",
    "AtrousConvolution1D",
    "AtrousConvolution2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Convolution1D",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Deconv2D",
    "Deconv3D",
    "Deconvolution2D",
    "Deconvolution3D",
    "DepthwiseConv2D",
    "InputSpec",
    "Layer",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]  # fmt: skip
