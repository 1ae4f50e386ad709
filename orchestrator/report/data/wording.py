"""Format names and numbers for reports."""

EMULATED = {
    "model": "the models themselves, by a simulated fleet whose accuracy means nothing",
    "n": "several samples, by separate requests",
    "samples": "samples that differ, by copies of one (it ignores seed and temperature)",
    "continuation": "continuation, by an instruction that quotes the steps so far",
}
"""What is emulated for an API that lacks it, in words."""

SHOWN = {"better": "better", "worse": "worse", "not shown": "–"}
"""The verdicts on a difference, in a table."""


def parameters(count: int) -> str:
    """A model's size with three digits at most: 0.16M, 13.5M, 7B."""
    if count < 10_000:
        return str(count)
    unit, scaled = ("M", count / 1e6) if count < 999_500_000 else ("B", count / 1e9)
    decimals = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
    text = f"{scaled:.{decimals}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + unit


def model_name(name: str, params: int | None) -> str:
    """``policy-160k (0.16M)``."""
    return name if params is None else f"{name} ({parameters(params)})"


def percent(share: float) -> str:
    """A share as a percentage without its sign: 0.899 as "89.9"."""
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, always signed."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def dollars(amount: float) -> str:
    """``$12.30``; below a dollar with two significant digits, ``$0.045``, and below a millionth
    of one by its magnitude, ``$4e-7``."""
    sign, size = "-" if amount < 0 else "", abs(amount)
    if not size or size >= 0.995:
        return f"{sign}${size:,.2f}"
    mantissa, _, exponent = f"{size:.1e}".partition("e")
    if size < 1e-6:
        return f"{sign}${float(mantissa):g}e{int(exponent)}"
    return f"{sign}${size:.{1 - int(exponent)}f}".rstrip("0")


def in_unit(amount: float, unit: str) -> str:
    """A budget, or what was used of one: ``1,200 tokens``, ``1.5e12 FLOPs``, ``$4.50``."""
    if unit == "cost":
        return dollars(amount)
    if unit == "flops":
        mantissa, _, exponent = scientific(amount, 3).partition("e")
        return f"{float(mantissa):g}{exponent and 'e'}{exponent} FLOPs"
    return f"{amount:,.10g} {unit}"


def counted(count: int, plural: str) -> str:
    """``1 branch`` or ``1,204 branches``."""
    singular = plural.removesuffix("es" if plural.endswith("ches") else "s")
    return f"{count:,} {plural if count != 1 else singular}"


def megabytes(size: int) -> str:
    """Bytes as MB with a decimal, and as kB below one."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def amount(count: float) -> str:
    """A count in six characters at most: 1,234 or 123k or 1.2M."""
    if count < 99_999.5:
        return f"{count:,.0f}"
    return f"{count / 1e3:.0f}k" if count < 999_500 else f"{count / 1e6:.1f}M"


def scientific(count: float, decimals: int = 2) -> str:
    """A count by its magnitude, as the paper writes FLOPs: 3.07e17."""
    mantissa, _, exponent = f"{count:.{decimals}e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if count else "0"
