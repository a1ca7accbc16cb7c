"""Compiled loops of `light`: evaluate profiles in their own frames, average them over pixels, add rows of pixels to images.

A profile returns its value at `(u, v)` and the longest edge of a pixel there whose mean the value at its middle still
approximates. It is 0 outside the circle of its reach. Parameters are a float32 array, in the order of a profile's arguments.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from infra.numba_loops import compiled_in_order

SERSIC, SPIRAL, ANNULUS, SPIKES, PICTURE = range(5)
"""Codes of the profile shapes."""
ARM_CORE = 1e-3
"""Softening radius that keeps the winding of spiral arms finite at the centre, in half-light radii."""

_Floats = NDArray[np.float32]
_Doubles = NDArray[np.float64]
_Frame = tuple[float, float, float, float]


def _fit(function: Callable[[_Doubles], _Doubles], low: float, high: float, degree: int) -> tuple[np.float32, ...]:
    """Return the coefficients, lowest first, of a polynomial within a few 1e-7 of a function."""
    series = Chebyshev.interpolate(function, degree, (low, high))
    return tuple(np.float32(c) for c in series.convert(kind=Polynomial, domain=(-1, 1)).coef)


# Single precision throughout the profiles: one operand in double precision would halve the speed of a row.
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_ROOT_HALF_BITS = int(np.float32(math.sqrt(0.5)).view(np.int32))
_LOWEST_EXPONENT = np.float32(-100)
_LOG2_E = np.float32(math.log2(math.e))
_LOG2 = _fit(lambda z: np.log2(1 + z) / z, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 6)
_EXP2 = _fit(np.exp2, 0, 1, 5)
_TURN = np.float32(2 * math.pi)
_SIN_60 = np.float32(math.sqrt(0.75))

_SERSIC_STEP = np.float32(0.3)
"""Longest edge in units of the e-folding length of a Sersic profile, or of the radius where that is shorter."""
_ARM_STEP = 0.3
"""Longest edge in units of the length over which a spiral's arms change its brightness by its own amount."""
_GAUSSIAN_STEP = np.float32(0.5)
"""Longest edge in standard deviations of a ring or ray, near it."""
_GAUSSIAN_REACH = np.float32(4)
"""Standard deviations from a ring or ray beyond which edges may be longer."""
_PICTURE_STEP = np.float32(0.5)
"""Longest edge in pixels of a picture."""
_FOUR_POINTS = np.float32(2)
"""Factor by which edges may be longer when four points represent a pixel."""
_GAUSS, _QUARTER = np.float32(math.sqrt(1 / 12)), np.float32(0.25)


@compiled_in_order
def _log2(x: np.float32) -> np.float32:
    """Return log2 within 1e-6 for normal numbers > 0, near -127 at 0. Unlike the library's, loops over it are vectorised."""
    bits = np.float32(x).view(np.int32)
    exponent = np.int32((bits - _ROOT_HALF_BITS) >> 23)
    z = np.int32(bits - (exponent << 23)).view(np.float32) - _ONE
    c = _LOG2
    return np.float32(exponent) + z * (c[0] + z * (c[1] + z * (c[2] + z * (c[3] + z * (c[4] + z * (c[5] + z * c[6]))))))


@compiled_in_order
def _exp2(x: np.float32) -> np.float32:
    """Return 2^x within a fraction of 1e-6 for -100 < x < 127; 0 below, before numbers become denormal and slow. Vectorised."""
    bounded = max(x, _LOWEST_EXPONENT)
    whole = np.floor(bounded)
    z = bounded - whole
    c = _EXP2
    fraction = c[0] + z * (c[1] + z * (c[2] + z * (c[3] + z * (c[4] + z * c[5]))))
    power = np.int32((np.int32(whole) + 127) << 23).view(np.float32)
    return fraction * power if x > _LOWEST_EXPONENT else _ZERO


@compiled_in_order
def _sersic(
    u: np.float32, v: np.float32, reach: np.float32, b: np.float32, n: np.float32, exponent: np.float32, least_step: np.float32
) -> tuple[np.float32, np.float32]:
    """Evaluate a Sersic profile, with lengths in half-light radii; `exponent` is 1 / (2 n)."""
    square = u * u + v * v
    radius = np.sqrt(square)
    depth = b * _exp2(exponent * _log2(square))
    value = _exp2(-_LOG2_E * depth)
    # A larger relative error is allowed where there is little light.
    step = max(least_step, _SERSIC_STEP * radius * min(_ONE, n / depth * (_ONE + max(_ZERO, depth - b))))
    return value if radius <= reach else _ZERO, max(step, _HALF * (radius - reach))


@compiled_in_order
def _spiral(u: np.float32, v: np.float32, p: _Floats) -> tuple[np.float32, np.float32]:
    """Evaluate a Sersic profile with arms; `p` ends with their strength, winding (cotangent of the pitch), phase and number."""
    strength, winding, phase, n_arms = p[5], p[6], p[7], p[8]
    value, step = _sersic(u, v, p[0], p[1], p[2], p[3], p[4])
    if value == _ZERO:
        return value, step
    square = float(u * u + v * v)
    turned = math.atan2(v, u) - math.log(math.sqrt(square) + ARM_CORE) * winding - phase
    # The arms' phase changes by n_arms sqrt(1 + winding^2) over a radius; near the centre their contrast is low.
    arm_step = _ARM_STEP * (square + 0.25) / (math.sqrt(square) * strength * n_arms * math.sqrt(1 + winding * winding))
    return (
        value * np.float32(1 + strength * square / (square + 0.25) * math.cos(n_arms * turned)),
        min(step, np.float32(max(arm_step, p[4]))),
    )


@compiled_in_order
def _annulus(
    u: np.float32, v: np.float32, reach: np.float32, width: np.float32, middle: np.float32, per_spread: np.float32
) -> tuple[np.float32, np.float32]:
    """Evaluate a ring, with lengths in its radii; `per_spread` is the inverse of the spread along it, 0 for a whole ring."""
    radius = np.sqrt(u * u + v * v)
    across = (radius - _ONE) / width
    azimuth = np.float32(math.atan2(v, u)) - middle
    along = (azimuth - _TURN * np.floor(azimuth / _TURN + _HALF)) * per_spread
    value = _exp2(-_HALF * _LOG2_E * (across * across + along * along))
    step = _GAUSSIAN_STEP * min(width, max(radius, width) / max(per_spread, _ONE))
    return value if radius <= reach else _ZERO, max(step, _HALF * width * (abs(across) - _GAUSSIAN_REACH))


@compiled_in_order
def _ray(along: np.float32, across: np.float32) -> np.float32:
    """Evaluate one line of rays, `along` in its lengths and `across` in standard deviations."""
    return _exp2(-_HALF * _LOG2_E * across * across) / (_ONE + along * along)


@compiled_in_order
def _spikes(u: np.float32, v: np.float32, reach: np.float32, width: np.float32) -> tuple[np.float32, np.float32]:
    """Evaluate diffraction spikes, with lengths in units of the length of a ray."""
    half_u, half_v, slant_u, slant_v = _HALF * u, _HALF * v, _SIN_60 * u, _SIN_60 * v
    across0, across1, across2 = v / width, (half_v - slant_u) / width, (half_v + slant_u) / width
    value = _ray(u, across0) + _ray(half_u + slant_v, across1) + _ray(half_u - slant_v, across2)
    nearest = min(abs(across0), abs(across1), abs(across2))
    radius = np.sqrt(u * u + v * v)
    step = max(_GAUSSIAN_STEP * width, _HALF * width * (nearest - _GAUSSIAN_REACH), _HALF * (radius - reach))
    return value if radius <= reach else _ZERO, step


@compiled_in_order
def _picture(u: np.float32, v: np.float32, p: _Floats) -> tuple[np.float32, np.float32]:
    """Interpolate linearly between the pixels of a square picture, with lengths in its pixels.

    `p` has the reach, the side in pixels, and the rows of the picture within a border of dark pixels.
    """
    n, middle = int(p[1]), _HALF * (p[1] + _ONE)
    # Negated, so that a position that is NaN is dark, too, and has no index.
    if not (abs(u) < middle and abs(v) < middle):
        return _ZERO, max(_PICTURE_STEP, _HALF * (max(abs(u), abs(v)) - middle))
    x, y = u + middle, v + middle
    # Rounding may put a position on the far side of the border.
    column, row = min(int(x), n), min(int(y), n)
    right, up = x - np.float32(column), y - np.float32(row)
    at = 2 + row * (n + 2) + column
    below = p[at] + right * (p[at + 1] - p[at])
    above = p[at + n + 2] + right * (p[at + n + 3] - p[at + n + 2])
    return below + up * (above - below), _PICTURE_STEP


@compiled_in_order
def _profile(shape: int, p: _Floats, u: np.float32, v: np.float32) -> tuple[np.float32, np.float32]:
    """Return the value and the longest edge of one pixel."""
    if shape == SERSIC:
        return _sersic(u, v, p[0], p[1], p[2], p[3], p[4])
    if shape == SPIRAL:
        return _spiral(u, v, p)
    if shape == ANNULUS:
        return _annulus(u, v, p[0], p[1], p[2], p[3])
    if shape == PICTURE:
        return _picture(u, v, p)
    return _spikes(u, v, p[0], p[1])


@compiled_in_order
def _mean(
    shape: int, p: _Floats, u: np.float32, v: np.float32, au: np.float32, av: np.float32, bu: np.float32, bv: np.float32
) -> np.float32:
    """Average over the parallelogram about `(u, v)` with edges a and b: halve its longer edge until four points suffice."""
    _, step = _profile(shape, p, u, v)
    step *= _FOUR_POINTS
    square_a, square_b = au * au + av * av, bu * bu + bv * bv
    # Negated, so that an edge that is NaN ends the recursion instead of being halved for ever.
    if not max(square_a, square_b) > step * step:
        # Gauss-Legendre points.
        au, av, bu, bv = _GAUSS * au, _GAUSS * av, _GAUSS * bu, _GAUSS * bv
        return _QUARTER * (
            _profile(shape, p, u - au - bu, v - av - bv)[0]
            + _profile(shape, p, u + au - bu, v + av - bv)[0]
            + _profile(shape, p, u - au + bu, v - av + bv)[0]
            + _profile(shape, p, u + au + bu, v + av + bv)[0]
        )
    if square_a < square_b:
        au, av, bu, bv = bu, bv, au, av
    au, av = _HALF * au, _HALF * av
    du, dv = _HALF * au, _HALF * av
    return _HALF * (_mean(shape, p, u - du, v - dv, au, av, bu, bv) + _mean(shape, p, u + du, v + dv, au, av, bu, bv))


@compiled_in_order
def _sample_row(shape: int, p: _Floats, u: _Floats, v: _Floats, values: _Floats, steps: _Floats) -> None:
    """Fill in values and longest edges at the middles of a row's pixels; loops with parameters in scalars are vectorised."""
    p0, p1, p2, p3 = p[0], p[1], p[2], p[3]
    if shape == SERSIC:
        p4 = p[4]
        for i in range(u.size):
            values[i], steps[i] = _sersic(u[i], v[i], p0, p1, p2, p3, p4)
    elif shape == SPIKES:
        for i in range(u.size):
            values[i], steps[i] = _spikes(u[i], v[i], p0, p1)
    else:
        for i in range(u.size):
            values[i], steps[i] = _profile(shape, p, u[i], v[i])


@compiled_in_order
def _add_row(
    shape: int,
    p: _Floats,
    frame: _Frame,
    u: _Floats,
    v: _Floats,
    edges: _Floats,
    longest: _Floats,
    fluxes: _Floats,
    out: _Floats,
    row: int,
    column: int,
) -> None:
    """Add the pixels at `(u, v)` in the frame, from `[row, column]` on; `edges` and the `longest` of each are in arcsec."""
    n = u.size
    values, steps = np.empty(n, np.float32), np.empty(n, np.float32)
    _sample_row(shape, p, u, v, values, steps)
    m0, m1, m2, m3 = np.float32(frame[0]), np.float32(frame[1]), np.float32(frame[2]), np.float32(frame[3])
    stretch = np.sqrt(max(m0 * m0 + m1 * m1, m2 * m2 + m3 * m3))
    # Counting is vectorised, and most rows have no pixels to refine or, behind a lens, no light.
    n_coarse, n_lit = 0, 0
    for i in range(n):
        n_coarse += stretch * longest[i] > steps[i]
    if n_coarse:
        for i in range(n):
            if stretch * longest[i] > steps[i]:
                ax, ay, bx, by = edges[i, 0], edges[i, 1], edges[i, 2], edges[i, 3]
                a, b = (m0 * ax + m1 * ay, m2 * ax + m3 * ay), (m0 * bx + m1 * by, m2 * bx + m3 * by)
                values[i] = _mean(shape, p, u[i], v[i], a[0], a[1], b[0], b[1])
    for i in range(n):
        n_lit += values[i] != _ZERO
    if n_lit:
        for band in range(fluxes.size):
            flux = fluxes[band]
            for i in range(n):
                out[band, row, column + i] += flux * values[i]


@compiled_in_order
def add_plain(
    shape: int,
    p: _Floats,
    frame: _Frame,
    x: _Doubles,
    y: _Doubles,
    side: float,
    fluxes: _Floats,
    out: _Floats,
    first_row: int,
    first_column: int,
) -> None:
    """Add a component to the pixels at offsets `x` and `y` from it in arcsec, which start at `[first_row, first_column]`.

    `fluxes` has, for each band, the flux of a pixel where the profile is 1; `out` is `[band, y, x]`.
    """
    m0, m1, m2, m3 = frame
    n = x.size
    u, v = np.empty(n, np.float32), np.empty(n, np.float32)
    edges, longest = np.zeros((n, 4), np.float32), np.full(n, side, np.float32)
    edges[:, 0] = edges[:, 3] = side
    # A row is lit where u^2 + v^2 <= limit: between the solutions of a quadratic equation.
    limit = (p[0] + 0.5 * side * (math.hypot(m0, m2) + math.hypot(m1, m3))) ** 2
    xx, xy, yy = m0 * m0 + m2 * m2, m0 * m1 + m2 * m3, m1 * m1 + m3 * m3
    for row in range(y.size):
        dy = y[row]
        middle = -xy * dy / xx
        square = (limit - yy * dy * dy) / xx + middle * middle
        if square >= 0:
            first = max(0, math.ceil((middle - math.sqrt(square) - x[0]) / side))
            last = max(first, min(n, math.floor((middle + math.sqrt(square) - x[0]) / side) + 1))
            for i in range(first, last):
                u[i], v[i] = m0 * x[i] + m1 * dy, m2 * x[i] + m3 * dy
            lit = slice(first, last)
            _add_row(
                shape, p, frame, u[lit], v[lit], edges[lit], longest[lit], fluxes, out, first_row + row, first_column + first
            )


@compiled_in_order
def add_lensed(
    shape: int,
    p: _Floats,
    frame: _Frame,
    x0: float,
    y0: float,
    beta_x: _Doubles,
    beta_y: _Doubles,
    edges: _Floats,
    longest: _Floats,
    fluxes: _Floats,
    out: _Floats,
) -> None:
    """Add a component at `(x0, y0)` to pixels that a lens maps to `beta`, `[y, x]` in arcsec, with edges of `mapped_edges`."""
    m0, m1, m2, m3 = frame
    n = beta_x.shape[1]
    u, v = np.empty(n, np.float32), np.empty(n, np.float32)
    for row in range(beta_x.shape[0]):
        for i in range(n):
            dx, dy = beta_x[row, i] - x0, beta_y[row, i] - y0
            u[i], v[i] = m0 * dx + m1 * dy, m2 * dx + m3 * dy
        _add_row(shape, p, frame, u, v, edges[row], longest[row], fluxes, out, row, 0)


@compiled_in_order
def mapped_edges(beta_x: _Doubles, beta_y: _Doubles, side: float) -> tuple[_Floats, _Floats]:
    """Map pixels' edges through a lens to first order: `[y, x, 4]`, x and y of the edge along x, then of the edge along y.

    The second array is the greater length of the two, `[y, x]`. Both are 0 where the map has no first order, about a
    deflector's singular centre: such a pixel gets the value at its middle.
    """
    n_rows, n_columns = beta_x.shape
    edges, longest = np.zeros((n_rows, n_columns, 4), np.float32), np.zeros((n_rows, n_columns), np.float32)
    for row in range(n_rows):
        for col in range(n_columns):
            ax, ay, a_smooth = _edge(beta_x, beta_y, row, col, 0, 1, side)
            bx, by, b_smooth = _edge(beta_x, beta_y, row, col, 1, 0, side)
            if a_smooth and b_smooth:
                edges[row, col, 0], edges[row, col, 1], edges[row, col, 2], edges[row, col, 3] = ax, ay, bx, by
                longest[row, col] = math.sqrt(max(ax * ax + ay * ay, bx * bx + by * by))
    return edges, longest


@compiled_in_order
def _edge(
    beta_x: _Doubles, beta_y: _Doubles, row: int, col: int, d_row: int, d_col: int, side: float
) -> tuple[float, float, bool]:
    """Return the mean difference to the two neighbours, and whether it or a side is no shorter than the second difference."""
    row0, col0 = max(row - d_row, 0), max(col - d_col, 0)
    row1, col1 = min(row + d_row, beta_x.shape[0] - 1), min(col + d_col, beta_x.shape[1] - 1)
    n = row1 - row0 + col1 - col0
    if n == 0:
        return 0.0, 0.0, True
    x0, x1, y0, y1 = beta_x[row0, col0], beta_x[row1, col1], beta_y[row0, col0], beta_y[row1, col1]
    dx, dy = (x1 - x0) / n, (y1 - y0) / n
    if n == 1:
        return dx, dy, True
    bend_x, bend_y = x0 + x1 - 2 * beta_x[row, col], y0 + y1 - 2 * beta_y[row, col]
    return dx, dy, bend_x * bend_x + bend_y * bend_y <= max(dx * dx + dy * dy, side * side)
