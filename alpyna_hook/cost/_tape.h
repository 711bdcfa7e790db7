/* Tapes: straight-line programs over doubles. See _tape.c for the formats. */
#ifndef ALPYNA_TAPE_H
#define ALPYNA_TAPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { ADD, SUB, MUL, DIV, MIN, MAX, CEIL, SQRT, NEG, ABS, LT, NOT_LT, LE, NOT_LE, EQ, NOT_EQ, END, OPERATIONS };

typedef struct { int32_t operation, a, b, other; } Step;

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    Py_ssize_t inputs, constants, steps, outputs, width;
    double *values; /* of all places; the constants stay */
    Step *code;
    int32_t *wanted;
} Tape;

/* The places of the results; NULL where a comparison turns out as it never did in a recorded run. */
static const int32_t *
run(const Tape *tape)
{
    double *v = tape->values, *first = v + tape->inputs + tape->constants, *next = first;
    for (const Step *s = tape->code;; ++s, ++next) {
        const double a = v[s->a], b = v[s->b];
        int holds;
        switch (s->operation) {
            case ADD: *next = a + b; continue;
            case SUB: *next = a - b; continue;
            case MUL: *next = a * b; continue;
            case DIV: *next = a / b; continue;
            case MIN: *next = b < a ? b : a; continue;
            case MAX: *next = b > a ? b : a; continue;
            case CEIL: *next = ceil(a); continue;
            case SQRT: *next = sqrt(a); continue;
            case NEG: *next = -a; continue;
            case ABS: *next = fabs(a); continue;
            case LT: holds = a < b; break;
            case NOT_LT: holds = !(a < b); break;
            case LE: holds = a <= b; break;
            case NOT_LE: holds = !(a <= b); break;
            case EQ: holds = a == b; break;
            case NOT_EQ: holds = a != b; break;
            default: return tape->wanted + s->a * tape->width; /* END */
        }
        if (!holds) {
            if (s->other < 0) {
                return NULL;
            }
            next = first + s->other - 1;
            s = tape->code + s->other - 1;
        }
    }
}

#endif
