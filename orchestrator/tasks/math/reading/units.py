"""Units that may follow a number: these alone are dropped, as whole words."""

import re
from functools import cache

_NAMES = """
mm: millimeter millimeters millimetre millimetres
cm: centimeter centimeters centimetre centimetres
dm: decimeter decimeters decimetre decimetres
m: meter meters metre metres
km: kilometer kilometers kilometre kilometres kms
in: inch inches
ft: foot feet
yd: yard yards
mi: mile miles
nm: nanometer nanometers
light-year: light-years lightyear lightyears
mg: milligram milligrams
g: gram grams gm gms
kg: kilogram kilograms kgs kilo kilos
lb: lbs pound pounds
oz: ounce ounces
ton: tons tonne tonnes
ml: mL milliliter milliliters millilitre millilitres
l: L liter liters litre litres
gal: gallon gallons
qt: quart quarts
pt: pint pints
s: sec secs second seconds
ms: millisecond milliseconds
min: mins minute minutes
h: hr hrs hour hours
day: days
week: weeks
month: months
year: years yr yrs
degree: degrees deg
radian: radians rad rads
celsius: C
fahrenheit: F
K: kelvin kelvins
N: newton newtons
J: joule joules kJ
W: watt watts kW
V: volt volts
A: ampere amperes amp amps
Hz: hertz
Pa: pascal pascals kPa
mph:
kph: kmh
rpm:
acre: acres
hectare: hectares ha
dollar: dollars usd bucks buck $
cent: cents ¢
euro: euros eur €
yen: ¥
yuan: rmb
rupee: rupees
penny: pennies pence
nickel: nickels
dime: dimes
quarter: quarters
percent: % percentage percents pct
am: a.m a.m.
pm: p.m p.m.
unit: units
point: points pts
apple: apples
orange: oranges
banana: bananas
egg: eggs
cookie: cookies
cake: cakes
pizza: pizzas
slice: slices
piece: pieces
book: books
page: pages
word: words
letter: letters
pencil: pencils
pen: pens
ball: balls
marble: marbles
card: cards
coin: coins
chip: chips
ticket: tickets
stamp: stamps
toy: toys
gift: gifts
box: boxes
bag: bags
bottle: bottles
cup: cups
jar: jars
basket: baskets
chair: chairs
table: tables
room: rooms
house: houses
car: cars
bus: buses
train: trains
trip: trips
tree: trees
flower: flowers
fish:
bird: birds
cat: cats
dog: dogs
cow: cows
horse: horses
chicken: chickens
sheep:
animal: animals
person: people persons
man: men
woman: women
child: children kids kid
boy: boys
girl: girls
student: students
teacher: teachers
player: players
team: teams
friend: friends
member: members
worker: workers
customer: customers
game: games
goal: goals
match: matches
step: steps
lap: laps
way: ways
time: times
arrangement: arrangements
permutation: permutations
combination: combinations
outcome: outcomes
possibility: possibilities
pair: pairs
group: groups
set: sets
row: rows
item: items
object: objects
number: numbers
digit: digits
integer: integers
solution: solutions
value: values
triangle: triangles
square: squares
rectangle: rectangles
side: sides
edge: edges
vertex: vertices
diagonal: diagonals
cube: cubes
tile: tiles
block: blocks
"""

UNITS = {
    name.strip("."): unit
    for line in _NAMES.strip().splitlines()
    for unit, _, others in [line.partition(":")]
    for name in (unit, *others.split())
}
"""Every name of every unit, and the name it goes by."""

SCALES = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}

_LETTERS = frozenset({"mg", "ml", "ms", "nm", "pt", "ha", "rad", "mi"})
"""Names that are letters to multiply where they stand in a formula."""

_POWER = re.compile(
    r"^(?:(?:square|squared|sq\.?|cubic|cu\.?) )|(?: ?(?:squared|cubed)| ?\^? ?-?\d)$"
)
_POWERS = {"sq": "^2", "cu": "^3"}
_PARTS = re.compile(r" per | ?/ ?| ?· ?")
_AGE = re.compile(r"^((?:year|month|week|day)s?) old$")


@cache
def unit(phrase: str, *, is_text: bool) -> str | None:
    r"""The unit a phrase names: ``km/h`` of "kilometers per hour", ``cm^2`` of "square cm".

    Outside of ``\text{…}`` (``is_text``) single letters, and others that
    formulas multiply, name no unit, unless one is divided by another: m/s.
    """
    phrase = _AGE.sub(r"\1", phrase.strip())
    said = [part.strip() for part in _PARTS.split(phrase.removeprefix("per "))]
    parts = [_POWER.sub("", part) for part in said]
    found = [UNITS.get(part.strip(".")) or UNITS.get(part.strip(".").casefold()) for part in parts]
    if not all(found) or len(parts) > 3:
        return None
    if not is_text and len(parts) == 1 and (len(parts[0]) == 1 or parts[0] in _LETTERS):
        return None if parts[0].isalpha() else found[0]
    name = "/".join(f"{name}{_power(part)}" for name, part in zip(found, said, strict=True))
    return f"/{name}" if phrase.startswith("per ") else name


def _power(part: str) -> str:
    """The power of a unit as it is named: ``^2`` of "square cm", "cm²" and "cm squared"."""
    if (found := _POWER.search(part)) is None:
        return ""
    said = found[0].strip(" ^")
    return f"^{said}" if said[-1].isdigit() else _POWERS[said[:2]]


def agree(left: str | None, right: str | None) -> bool:
    """Whether two units leave the value as it is: one of them missing, or both the same."""
    neutral = (None, "unit", "unit^2", "unit^3")
    return left == right or left in neutral or right in neutral
