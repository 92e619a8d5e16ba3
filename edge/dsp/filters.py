"""Second-order-section filters whose state is carried from block to block.

The recursion is scipy's own compiled kernel, called directly. The public `scipy.signal.sosfilt`
gives the same bits (asserted in the tests) but importing ``scipy.signal`` costs 85 MB of memory
and 0.7 s of CPU at start, and each call 17 us of argument checking around 1.4 us of arithmetic.
For the same reason the Butterworth design is done here; the tests hold it to scipy's design.

Source: A. V. Oppenheim and R. W. Schafer, *Discrete-Time Signal Processing*, 3rd ed., 7.2
(bilinear transform with pre-warping).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import Any, Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Kernel: TypeAlias = Callable[[Array, Array, Array], None]


def find_kernel() -> Kernel:
    """Return scipy's in-place ``_sosfilt(sos, x, zi)`` without importing ``scipy.signal``.

    Arrays are C-contiguous float64: sos (s, 6), x (channels, n) filtered in place, zi
    (channels, s, 2) updated in place. Where scipy keeps its kernel elsewhere the public
    function is used: slower, the same bits.
    """
    spec = PathFinder.find_spec("_sosfilt", [f"{scipy.__path__[0]}/signal"])
    if spec is not None and spec.loader is not None:
        module: Any = module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, "_sosfilt"):
            kernel: Kernel = module._sosfilt  # noqa: SLF001  # private: see the module's docstring
            return kernel
    return _public_kernel


def _public_kernel(sos: Array, x: Array, zi: Array) -> None:
    from scipy.signal import sosfilt  # noqa: PLC0415  # only where the kernel was not found

    y, state = sosfilt(sos, x, axis=1, zi=zi.transpose(1, 0, 2))
    x[:] = y
    zi[:] = state.transpose(1, 0, 2)


_KERNEL = find_kernel()


class SosFilter:
    """A filter that goes on where the last block ended.

    The output is the same to the bit however the input is cut into blocks. NaN must not come
    in: it would stay in the state for ever.

    Parameters
    ----------
    sos : Array
        Shape (sections, 6), as `butter_sos` or ``scipy.signal.butter(output="sos")`` gives.
    """

    def __init__(self, sos: Array) -> None:
        self._sos = np.array(sos, dtype=np.float64, order="C")  # the kernel wants it writable
        self._steady = steady_state(self._sos)
        self._zi = np.zeros((1, len(self._sos), 2))
        self._running = False

    def run(self, x: NDArray[np.floating[Any]]) -> Array:
        """Return the filtered block, shape (n,).

        The first block after the start or `restart` begins in the steady state for its first
        value, so that an offset rings no bell.
        """
        y = np.array(x, dtype=np.float64)
        if not y.size:
            return y
        if not self._running:
            self._zi[0] = self._steady * y[0]
            self._running = True
        _KERNEL(self._sos, y[np.newaxis], self._zi)
        return y

    def restart(self) -> None:
        """Forget the past: the next block is a first block."""
        self._running = False


def steady_state(sos: Array) -> Array:
    """Return the state, shape (s, 2), in which a constant input of one gives a constant output."""
    state = np.zeros((len(sos), 2))
    level = 1.0
    for i, (b0, b1, b2, _, a1, a2) in enumerate(sos):
        out = level * (b0 + b1 + b2) / (1.0 + a1 + a2)
        state[i, 1] = b2 * level - a2 * out
        state[i, 0] = b1 * level - a1 * out + state[i, 1]
        level = out
    return state


@functools.cache
def butter_sos(
    order: int,
    band_hz: float | tuple[float, float],
    fs_hz: float,
    kind: Literal["lowpass", "highpass", "bandpass"],
) -> Array:
    """Design a Butterworth filter by the bilinear transform.

    Parameters
    ----------
    order : int
        Even for low-pass and high-pass; a band-pass has twice as many poles.
    band_hz : float or (float, float)
        Corner frequency, or both for a band-pass, each between 0 and half of `fs_hz`.

    Returns
    -------
    Array
        Shape (sections, 6), read-only.

    Raises
    ------
    ValueError
        A corner lies outside (0, fs_hz / 2), or the order is odd where it must be even.
    """
    corners = (band_hz,) if isinstance(band_hz, (int, float)) else band_hz
    if not all(0 < corner < fs_hz / 2 for corner in corners):
        raise ValueError(f"corner {band_hz} Hz must lie between 0 and {fs_hz / 2} Hz")
    if kind != "bandpass" and order % 2:
        raise ValueError(f"a {kind} filter needs an even order, not {order}")
    warped = [2 * fs_hz * np.tan(np.pi * corner / fs_hz) for corner in corners]
    prototype = np.exp(1j * np.pi * (2 * np.arange(order) + order + 1) / (2 * order))
    poles = _analog_poles(prototype, warped, kind)
    digital = (2 * fs_hz + poles) / (2 * fs_hz - poles)
    upper = digital[digital.imag > 0]
    # Nearest to the unit circle last, as scipy orders its sections.
    upper = upper[np.argsort(np.abs(upper))]
    numerator = {"lowpass": (1, 2, 1), "highpass": (1, -2, 1), "bandpass": (1, 0, -1)}[kind]
    sos = np.array([[*numerator, 1.0, -2 * p.real, abs(p) ** 2] for p in upper])
    sos[0, :3] /= _gain(sos, corners, fs_hz, kind)
    sos.setflags(write=False)
    return sos


def _analog_poles(
    prototype: NDArray[np.complex128], warped: list[Any], kind: str
) -> NDArray[np.complex128]:
    if kind == "lowpass":
        return np.asarray(prototype * warped[0])
    if kind == "highpass":
        return np.asarray(warped[0] / prototype)
    half = prototype * (warped[1] - warped[0]) / 2
    root = np.sqrt(half**2 - warped[0] * warped[1] + 0j)
    return np.concatenate([half + root, half - root])


def _gain(sos: Array, corners: tuple[float, ...], fs_hz: float, kind: str) -> float:
    """Return the response in the middle of the pass band."""
    if kind == "bandpass":
        low, high = (np.tan(np.pi * corner / fs_hz) for corner in corners)
        omega = 2 * np.arctan(np.sqrt(low * high))
    else:
        omega = 0.0 if kind == "lowpass" else np.pi
    z = np.exp(-1j * omega * np.arange(3))
    return float(np.abs(np.prod((sos[:, :3] @ z) / (sos[:, 3:] @ z))))
