"""``calculate``: evaluates arithmetic expressions, with exact integers.

simpleeval evaluates the syntax tree, with only the operators, functions and names listed here. Rules on top: values are
numbers only, and their size is limited, because one operation on a huge integer would block the whole process.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from simpleeval import FunctionNotDefined, InvalidExpression, NameNotDefined, SimpleEval

from streamchat.tools.definition import tool
from streamchat.tools.values import ToolError

MAX_BITS = 10_000
MAX_FACTORIAL = 1000
NAMES = {"pi": math.pi, "e": math.e, "tau": math.tau}


@tool(timeout=5)
def calculate(expression: Annotated[str, Field(min_length=1, max_length=1000)]) -> str:
    """Evaluate an arithmetic expression and return its value.

    Knows + - * / // % ** and parentheses, comparisons, the constants pi, e and tau, and the functions abs, round, min,
    max, sqrt, cbrt, exp, ln, log (base 10 or a given base), log2, log10, sin, cos, tan, asin, acos,
    atan, atan2, sinh, cosh, tanh, degrees, radians, floor, ceil, trunc, factorial, comb, perm, gcd, lcm and hypot.
    Angles are in radians.

    Args:
        expression: For example "(17 + 4) * sqrt(2) ** 2".
    """
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        return _format(_evaluator().eval(expression, previously_parsed=tree.body))
    except FunctionNotDefined as error:
        raise ToolError(f"There is no function {getattr(error, 'func_name', '')!r}.") from None
    except NameNotDefined as error:
        raise ToolError(f"There is no constant {getattr(error, 'name', '')!r}.") from None
    except InvalidExpression:
        raise ToolError("Only numbers, operators, constants and functions can be calculated with.") from None
    except SyntaxError:
        raise ToolError("This is not an arithmetic expression.") from None
    except ZeroDivisionError:
        raise ToolError("This divides by zero.") from None
    except (OverflowError, RecursionError, MemoryError):
        raise ToolError("The numbers get too large, or the expression too deep.") from None
    except (ValueError, TypeError) as error:
        raise ToolError(f"This cannot be calculated: {error}.") from None


def _evaluator() -> SimpleEval:
    evaluator = SimpleEval(operators=OPERATORS, functions=FUNCTIONS, names=NAMES)
    refused = (ast.Attribute, ast.Subscript, ast.JoinedStr, ast.FormattedValue)
    evaluator.nodes = {node: walk for node, walk in (evaluator.nodes or {}).items() if node not in refused}
    return evaluator


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, complex):
        raise ToolError("The result is not a real number.")
    if not isinstance(value, int | float):
        raise ToolError("Only numbers can be calculated with.")
    if math.isnan(value) if isinstance(value, float) else False:
        raise ToolError("The result is not a number.")
    if math.isinf(value) if isinstance(value, float) else value.bit_length() > MAX_BITS:
        raise OverflowError
    return value


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    def bounded(*values: Any) -> Any:
        return _number(function(*(_number(value) for value in values)))

    return bounded


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise OverflowError
    return base**exponent


def _no_xor(_left: Any, _right: Any) -> Any:
    raise ToolError("Write powers as **, not as ^.")


def _factorial(n: Any) -> int:
    if n > MAX_FACTORIAL:
        raise OverflowError
    return math.factorial(n)


def _limited(function: Callable[[Any, Any], int]) -> Callable[[Any, Any], int]:
    def limited(n: Any, k: Any) -> int:
        if n > MAX_FACTORIAL:
            raise OverflowError
        return function(n, k)

    return limited


def _log(value: float, base: float = 10) -> float:
    return math.log10(value) if base == 10 else math.log(value, base)


def _round(value: float, digits: int = 0) -> float:
    return round(value, max(-MAX_BITS, min(digits, 400))) if digits else round(value)


def _format(value: Any) -> str:
    # Fifteen digits of a float: the last two are noise of its binary form.
    value = _number(value)
    return format(value, ".15g") if isinstance(value, float) else str(value)


OPERATORS = {
    **{
        node: _bounded(function)
        for node, function in {
            ast.Add: operator.add,
            ast.Sub: operator.sub,
            ast.Mult: operator.mul,
            ast.Div: operator.truediv,
            ast.FloorDiv: operator.floordiv,
            ast.Mod: operator.mod,
            ast.Pow: _power,
            ast.USub: operator.neg,
            ast.UAdd: operator.pos,
            ast.Eq: operator.eq,
            ast.NotEq: operator.ne,
            ast.Gt: operator.gt,
            ast.GtE: operator.ge,
            ast.Lt: operator.lt,
            ast.LtE: operator.le,
        }.items()
    },
    ast.BitXor: _no_xor,
}
FUNCTIONS = {
    name: _bounded(function)
    for name, function in {
        **{name: getattr(math, name) for name in "sqrt cbrt exp log2 log10 sin cos tan asin acos atan atan2".split()},
        **{
            name: getattr(math, name)
            for name in "sinh cosh tanh degrees radians floor ceil trunc gcd lcm hypot".split()
        },
        "abs": abs,
        "min": min,
        "max": max,
        "round": _round,
        "ln": math.log,
        "log": _log,
        "factorial": _factorial,
        "comb": _limited(math.comb),
        "perm": _limited(math.perm),
    }.items()
}
