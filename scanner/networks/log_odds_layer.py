"""The log-odds of a lens as a layer of a network, for gradients."""

from torch import Tensor, nn


class LensLogOdds(nn.Module):
    """A last layer that turns logits `[batch, class]` into log-odds of a lens `[batch]`, for gradients.

    Log-odds use all outputs, as a softmax does: with the lens outputs alone, evidence against `nonlens` would not count, and of
    the flagship's maps a fifth fewer would peak on the arc.
    """

    def forward(self, logits: Tensor) -> Tensor:
        return logits[:, 1:].logsumexp(1) - logits[:, 0]
