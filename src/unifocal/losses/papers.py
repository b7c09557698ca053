"""The papers that the losses come from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes:
        citation: Authors, title, where and when.
        doi: Digital object identifier.
        arxiv: arXiv identifier; None where there is no preprint.
    """

    citation: str
    doi: str
    arxiv: str | None = None

    @property
    def links(self) -> tuple[str, ...]:
        """Where it can be read: the publisher's page, then the preprint if there is one."""
        preprint = (f"https://arxiv.org/abs/{self.arxiv}",) if self.arxiv else ()
        return (f"https://doi.org/{self.doi}", *preprint)


UNET = Paper(
    "Ronneberger, Fischer, Brox: U-Net: Convolutional networks for biomedical image segmentation. "
    "MICCAI 2015 (pixel-wise cross entropy)",
    "10.1007/978-3-319-24574-4_28",
    "1505.04597",
)
FOCAL = Paper(
    "Lin, Goyal, Girshick, He, Dollár: Focal loss for dense object detection. ICCV 2017",
    "10.1109/ICCV.2017.324",
    "1708.02002",
)
VNET = Paper(
    "Milletari, Navab, Ahmadi: V-Net: Fully convolutional neural networks for volumetric medical "
    "image segmentation. 3DV 2016",
    "10.1109/3DV.2016.79",
    "1606.04797",
)
TVERSKY = Paper(
    "Salehi, Erdogmus, Gholipour: Tversky loss function for image segmentation using 3D fully "
    "convolutional deep networks. MLMI 2017",
    "10.1007/978-3-319-67389-9_44",
    "1706.05721",
)
FOCAL_TVERSKY = Paper(
    "Abraham, Khan: A novel focal Tversky loss function with improved attention U-Net for lesion "
    "segmentation. ISBI 2019",
    "10.1109/ISBI.2019.8759329",
    "1810.07842",
)
COMBO = Paper(
    "Taghanaki, Zheng, Zhou, Georgescu, Sharma, Xu, Comaniciu, Hamarneh: Combo loss: Handling input and "
    "output imbalance in multi-organ segmentation. Computerized Medical Imaging and Graphics 75, 2019",
    "10.1016/j.compmedimag.2019.04.005",
    "1805.02798",
)
NNUNET = Paper(
    "Isensee, Jaeger, Kohl, Petersen, Maier-Hein: nnU-Net: a self-configuring method for deep "
    "learning-based biomedical image segmentation. Nature Methods 18, 2021",
    "10.1038/s41592-020-01008-z",
    "1904.08128",
)
HYBRID_FOCAL = Paper(
    "Yeung, Sala, Schönlieb, Rundo: Focus U-Net: A novel dual attention-gated CNN for polyp "
    "segmentation during colonoscopy. Computers in Biology and Medicine 137, 2021",
    "10.1016/j.compbiomed.2021.104815",
    "2105.07467",
)
UNIFIED_FOCAL = Paper(
    "Yeung, Sala, Schönlieb, Rundo: Unified Focal loss: Generalising Dice and cross entropy-based "
    "losses to handle class imbalanced medical image segmentation. Computerized Medical Imaging "
    "and Graphics 95, 2022",
    "10.1016/j.compmedimag.2021.102026",
    "2102.04525",
)
