"""What a MONAI bundle runs besides MONAI's own components: its `inference.json` names what is defined here.

Reading, preparing, returning to the image's own grid and writing are ours: MONAI's transforms round, blur and keep
headers in ways of their own, and only the same code gives the masks of `unifocal predict`, voxel for voxel.
"""

import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.inferers.inferer import Inferer
from monai.transforms.transform import MapTransform
from numpy.typing import NDArray
from torch import Tensor

from unifocal.data.case import Source
from unifocal.data.channels import join_channels
from unifocal.data.folder import Layout, load_cases
from unifocal.data.read import read_image, stem_of
from unifocal.data.regions import Regions
from unifocal.inference.postprocess import Cleaning, clean
from unifocal.inference.predict import decide, restore_image
from unifocal.inference.volume_writers import write_volume_mask
from unifocal.inference.volumes import restore_channel
from unifocal.inference.windows import Windows, window_logits
from unifocal.inference.writers import write_mask
from unifocal.preprocessing.pipeline import Pipeline
from unifocal.preprocessing.sample import GeometryRecord, Sample
from unifocal.problems import bad_input

Keys = Sequence[Hashable]
Item = dict[Hashable, Any]


def images_in(folder: str, channels: int = 1) -> list[dict[str, str]]:
    """MONAI's list of data: the images of a folder, of any format that `unifocal predict` reads.

    Args:
        folder: Where they lie. Files that are one image's channels are joined, a DICOM series is one image.
        channels: Of each image.

    Returns:
        Per image its files as text (`image`; see `Source.as_text`) and its `name`, in natural order.

    Raises:
        InputError: If there are none, or two cannot be told apart.
    """
    cases = join_channels(load_cases(Layout(images=Path(folder))).cases, channels)
    return [{"image": case.image.as_text(), "name": case.name} for case in cases]


class PrepareImaged(MapTransform):
    """Read an image and prepare it as for training: a path becomes a tensor (channels, *spatial), float32.

    What the way back needs is added as text: `source` (the files) and `geometry`; and `name` where it is not given.

    Args:
        keys: The key of the path.
        steps: The steps of preprocessing, as `Pipeline.from_declaration` takes them.
        dimensions: 2 for images, 3 for volumes: what the network takes.
        spacing_mm: Distance between elements along each axis, for files that do not say it or say it wrongly.
        allow_missing_keys: Whether data may lack the key.
    """

    def __init__(
        self,
        keys: Keys,
        steps: Sequence[Any],
        dimensions: int,
        *,
        spacing_mm: Sequence[float] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.pipeline = Pipeline.from_declaration(list(steps))
        self.dimensions = dimensions
        self.spacing_mm = None if spacing_mm is None else tuple(spacing_mm)

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """The data with the image prepared.

        Raises:
            InputError: If the image is no image of these dimensions, or lacks what a step needs.
        """
        item = dict(data)
        for key in self.key_iterator(item):
            source = Source.from_text(str(item[key]), Path())
            scan = read_image(source)
            if scan.array.ndim != 1 + self.dimensions:
                what = f"has {scan.array.ndim - 1} axes, and the network takes images with {self.dimensions}"
                raise bad_input(str(source), what, "Give what the network was trained on.", kind="dimensions")
            sample = Sample(scan.array, spacing_mm=self.spacing_mm or scan.spacing_mm, affine=scan.affine)
            prepared = self.pipeline.apply(sample, where=str(source))
            item[key] = torch.from_numpy(np.ascontiguousarray(prepared.image, np.float32))
            item["geometry"] = json.dumps([record.to_plain() for record in prepared.geometry])
            item["source"] = source.as_text()
            item.setdefault("name", stem_of(source.path))
        return item


class WindowInferer(Inferer):
    """Sliding windows that are also mirrored; see `unifocal.inference.windows.Windows` for the arguments.

    Without mirroring, MONAI's `SlidingWindowInferer` gives the same and is what bundles name.

    Args:
        outputs: The network's outputs.
        windows: How a volume is covered.
    """

    def __init__(self, outputs: int, **windows: Any) -> None:
        super().__init__()
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in windows.items()
        }
        self.outputs, self.windows = outputs, Windows(**plain)

    def __call__(self, inputs: Tensor, network: Any, *_: Any, **__: Any) -> Tensor:
        """Logits (N, outputs, *spatial) of images (N, channels, *spatial), on the CPU."""
        images = [np.asarray(image.cpu(), np.float32) for image in inputs]
        return torch.stack(
            [torch.from_numpy(window_logits(network, image, self.windows, self.outputs)) for image in images]
        )


class ToLabelsd(MapTransform):
    """Probabilities on the network's grid (outputs, *spatial) become labels on the image's own grid (1, *native).

    Args:
        keys: The key of the probabilities.
        labels: Ascending, without background: what class indices from 1 on stand for.
        regions: Where outputs are overlapping regions: the labels that belong to each, in the outputs' order.
        cleanings: By label, what is done to its mask; see `Cleaning`.
        allow_missing_keys: Whether data may lack the key.
    """

    def __init__(
        self,
        keys: Keys,
        labels: Sequence[int],
        *,
        regions: Sequence[Sequence[int]] = (),
        cleanings: Mapping[str, Mapping[str, Any]] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.stored = np.array([0, *labels])
        self.regions = Regions({str(k): tuple(values) for k, values in enumerate(regions)}) if regions else None
        self.cleanings = {int(label): Cleaning(**how) for label, how in (cleanings or {}).items()}

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """The data with labels for probabilities."""
        item = dict(data)
        geometry = [GeometryRecord.from_plain(record) for record in json.loads(item["geometry"])]
        for key in self.key_iterator(item):
            probabilities = np.asarray(item[key].cpu(), np.float32)
            item[key] = clean(self._decide(self._native(probabilities, geometry)), self.cleanings)[None]
        return item

    def _native(self, probabilities: NDArray[np.float32], geometry: list[GeometryRecord]) -> NDArray[np.float32]:
        has_background = self.regions is None and len(probabilities) > 1
        if probabilities.ndim == 3:
            return restore_image(probabilities, geometry, has_background=has_background)
        channels = range(len(probabilities))
        return np.stack([restore_channel(probabilities, k, geometry, has_background=has_background) for k in channels])

    def _decide(self, probabilities: NDArray[np.float32]) -> NDArray[np.integer[Any]]:
        if self.regions is not None:
            return self.regions.as_labels(probabilities > 0.5)
        labels = self.stored[decide(probabilities)]
        return labels.astype(np.uint8 if self.stored.max() <= 255 else np.uint16)


class WriteMaskd(MapTransform):
    """Write labels (1, *native) as `unifocal predict` does: pictures as PNG, volumes in their image's format and place.

    Args:
        keys: The key of the labels.
        output_dir: Where to; made when the first mask is there.
        label_names: `label: name` each, for formats that hold names.
        black_and_white: Whether label 1 of a picture is written as 255.
        allow_missing_keys: Whether data may lack the key.
    """

    def __init__(
        self,
        keys: Keys,
        output_dir: str,
        *,
        label_names: Sequence[str],
        black_and_white: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        pairs = (named.partition(": ") for named in label_names)
        self.names = {int(label): name for label, _, name in pairs}
        self.output_dir, self.factor = Path(output_dir), 255 if black_and_white else 1

    def __call__(self, data: Mapping[Hashable, Any]) -> Item:
        """The data as they are, once the mask is written."""
        item = dict(data)
        for key in self.key_iterator(item):
            mask, name = np.asarray(item[key])[0], str(item["name"])
            if mask.ndim == 2:
                self.output_dir.mkdir(parents=True, exist_ok=True)
                write_mask(self.output_dir / f"{name}.png", mask * np.array(self.factor, mask.dtype))
            else:
                source = Source.from_text(str(item["source"]), Path())
                write_volume_mask(self.output_dir, name, mask, source, self.names)
        return item
