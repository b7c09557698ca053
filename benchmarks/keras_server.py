"""Source A's network in Keras, as one contender of `training.py`; it runs in an environment of its own.

Compiled with Adam and binary cross entropy, without further metrics; otherwise Keras' defaults. No augmentation: the
source has none.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from training_data import Shape, cropped, read_arrays
from training_wire import Turns, arguments

ENCODER = ((16, 0.1), (32, 0.1), (64, 0.2), (128, 0.2))
BOTTLENECK = (256, 0.3)
PARAMETERS = 1_941_105


def network(size: tuple[int, ...]) -> keras.Model:
    """Source A's U-Net for images (rows, columns, 3)."""
    image = x = layers.Input((*size, 3))
    skips = []
    for width, rate in ENCODER:
        x = _block(x, width, rate)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = _block(x, *BOTTLENECK)
    for (width, rate), skip in zip(reversed(ENCODER), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(width, 2, strides=2, padding="same")(x)
        x = _block(layers.concatenate([x, skip]), width, rate)
    # The last layer in float32, as Keras asks for where the others are not.
    model = keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid", dtype="float32")(x))
    assert model.count_params() == PARAMETERS
    return model


def _block(x: keras.KerasTensor, width: int, rate: float) -> keras.KerasTensor:
    settings = {"activation": "relu", "kernel_initializer": "he_normal", "padding": "same"}
    x = layers.Conv2D(width, 3, **settings)(x)
    x = layers.Dropout(rate)(x)
    return layers.Conv2D(width, 3, **settings)(x)


def main() -> None:
    """Work whenever asked."""
    turns, given = Turns(), arguments(__doc__)
    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    tf.config.threading.set_inter_op_parallelism_threads(given.threads)
    keras.utils.set_random_seed(0)
    if given.precision == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    shape = Shape.parse(given.shape)
    images, masks = (cropped(arrays, shape) for arrays in read_arrays(given.data))
    x = np.ascontiguousarray(np.moveaxis(images, 1, -1))
    y = masks[..., None].astype(np.float32)
    model = network(shape.size)
    model.compile(optimizer="adam", loss=given.loss)
    turns.ready(parameters=model.count_params())
    if given.work == "step":
        first, truth = tf.constant(x[: shape.batch]), tf.constant(y[: shape.batch])
        turns.serve(lambda: model.train_on_batch(first, truth))
    elif given.work == "epoch":
        turns.serve(lambda: model.fit(x, y, batch_size=shape.batch, epochs=1, verbose=0))
    else:
        turns.serve(lambda: model.predict(x, batch_size=shape.batch, verbose=0))


if __name__ == "__main__":
    main()
