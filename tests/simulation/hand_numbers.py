"""Noise calculated by hand from the band table, not by the simulator's code.

VIS: sky of 22.18 mag/arcsec2 at a zero point of 24.6 is 0.0929 ADU/s in a pixel of 0.1 arcsec; 3.5 e/ADU over 2264 s make it
736.1 e. Four readouts of 3.2 e add 40.96 e^2: 27.88 e, or 0.003518 ADU/s. The other bands likewise.
"""

ELECTRONS_PER_ADU_PER_S = {"VIS": 7924.0, "Y": 4.33956, "J": 4.42308, "H": 4.6284}
SKY_ELECTRONS = {"VIS": 736.11, "Y": 500.83, "J": 570.12, "H": 549.13}
READ_ELECTRONS2 = {"VIS": 40.96, "Y": 148.84, "J": 148.84, "H": 148.84}
POISSON_SHARE = {
    "challenge": dict.fromkeys(ELECTRONS_PER_ADU_PER_S, 1.0),
    "mer": {"VIS": 0.46537, "Y": 0.047469, "J": 0.047469, "H": 0.047469},
}
"""Share of the variance of the electrons in a pixel of flat light that resampling leaves: the sum of its squared weights, (1 +
4 x 0.107^2 + 4 x 0.018^2) / 1.5^2 for VIS. NISP's taps have squares that sum to 0.21787, along two axes; a native pixel has the
light of nine, and its noise is spread over nine."""
SKY_ADU_PER_S = {
    "challenge": {"VIS": 0.0035179, "Y": 5.8735, "J": 6.0622, "H": 5.7080},
    "mer": {"VIS": 0.0025439, "Y": 0.50096, "J": 0.51705, "H": 0.48265},
}
"""Noise of empty sky. MER has 1.06 (VIS), 1.16 (Y, J) or 1.15 (H) times the noise, resampled (0.68218, 0.21787 / 3); NISP has
2.5 % more variance that stays uncorrelated."""
