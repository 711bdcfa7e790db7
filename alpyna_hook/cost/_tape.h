/* Tapes: straight-line programs over doubles. See _tape.c for the formats. */
#ifndef ALPYNA_TAPE_H
#define ALPYNA_TAPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { ADD, SUB, MUL, DIV, MIN, MAX, CEIL, SQRT, NEG, ABS, LT, NOT_LT, LE, NOT_LE, EQ, NOT_EQ, OPERATIONS };

typedef struct { int32_t operation, a, b; } Step;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Py_ssize_t inputs, constants, steps, outputs;
    double *values; /* of all places; the constants stay */
    Step *code;
    int32_t *wanted;
} Tape;

/* Whether all recorded comparisons hold. */
static int
run(const Tape *tape)
{
    double *v = tape->values, *next = v + tape->inputs + tape->constants;
    for (const Step *s = tape->code, *end = s + tape->steps; s < end; ++s, ++next) {
        const double a = v[s->a], b = v[s->b];
        int holds = 1;
        switch (s->operation) {
            case ADD: *next = a + b; break;
            case SUB: *next = a - b; break;
            case MUL: *next = a * b; break;
            case DIV: *next = a / b; break;
            case MIN: *next = b < a ? b : a; break;
            case MAX: *next = b > a ? b : a; break;
            case CEIL: *next = ceil(a); break;
            case SQRT: *next = sqrt(a); break;
            case NEG: *next = -a; break;
            case ABS: *next = fabs(a); break;
            case LT: holds = a < b; break;
            case NOT_LT: holds = !(a < b); break;
            case LE: holds = a <= b; break;
            case NOT_LE: holds = !(a <= b); break;
            case EQ: holds = a == b; break;
            default: holds = a != b; break;
        }
        if (!holds) {
            return 0;
        }
    }
    return 1;
}

#endif
