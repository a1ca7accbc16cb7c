"""HEALPix cells from the published formulas, for one position at a time: an answer that shares no code with the program's."""

import math


def cell_of(ra_deg, dec_deg, order):
    """Return the nested cell that holds a position (Gorski et al. 2005, section 4): face, then x and y in it, bit by bit."""
    n_side = 2**order
    z, tt = math.sin(math.radians(dec_deg)), ra_deg % 360 / 90
    if abs(z) <= 2 / 3:
        along, across = n_side * (0.5 + tt), n_side * 0.75 * z
        up, down = math.floor(along - across), math.floor(along + across)
        face_up, face_down = up // n_side, down // n_side
        face = face_up % 4 + 4 if face_up == face_down else face_up % 4 if face_up < face_down else face_down % 4 + 8
        x, y = down % n_side, n_side - 1 - up % n_side
    else:
        quarter = min(int(tt), 3)
        # 1 - |z| without the loss of digits near the poles.
        from_pole = 2 * math.sin(math.radians(90 - abs(dec_deg)) / 2) ** 2
        width = n_side * math.sqrt(3 * from_pole)
        up = min(int((tt - quarter) * width), n_side - 1)
        down = min(int((1 - (tt - quarter)) * width), n_side - 1)
        face, x, y = (quarter, n_side - 1 - down, n_side - 1 - up) if z > 0 else (quarter + 8, up, down)
    return face * n_side**2 + sum((x >> bit & 1) << 2 * bit | (y >> bit & 1) << (2 * bit + 1) for bit in range(order))
