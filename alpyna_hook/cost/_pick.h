/* Choosing among variants by recorded predictions: predictions and rules; _picker.h has what Python sees. The rules and
 * their reasons are those of rules.py and learn.py, which are the definition: here they are over arrays, not mappings.
 *
 * in:  Picker(variants, leaves, estimated, deciding, places, unknown, rules): names of the variants, "interp" among them;
 *      the entry quantities that a tape takes, those that would make it useless, those that ranges are asked of, with
 *      their places among `leaves` (-1: the prediction does not grow with it); rules.figures. picker.use(tape)
 * out: picker.pick(env, known, calls), picker.box(env, chosen, known, unpaid): as in pick.py, or None for what is not
 *      usual: the tape cannot tell, a value that is no plain number, a price that has not been asked for. No code of
 *      others runs meanwhile, so that nothing changes under it.
 */
#ifndef ALPYNA_PICK_H
#define ALPYNA_PICK_H

#include "_tape.h"

#define MOST_VARIANTS 8
#define MOST_INPUTS 64
#define MOST_KNOWN 64
#define LARGEST (1LL << 60) /* of a size: what bounds its bucket fits, too */

enum { INTERP, SEQ, OMP, OPENCL, CUDA, ROLES };
static const char *const ROLE_NAMES[ROLES] = {"interp", "seq", "omp", "opencl", "cuda"};

typedef struct { /* in the order of rules.figures */
    double margin, threads_save_s, retire_s, retire_calls, tolerance, measured_s, fewest_calls, measured_calls, try_calls,
        batch_s, most_calls, shared, distance, decline_s, call_s, rounds;
} Rules;

typedef struct { /* what was measured of a variant in a decade: History.known of learn.py */
    Py_ssize_t variant;
    long decade;
    double log;
    int fresh;
} Known;

typedef struct {
    PyObject_HEAD
    PyObject *variants, *leaves, *estimated, *deciding; /* tuples */
    Py_ssize_t count, role[ROLES];                      /* of variants; -1: none of that name */
    Py_ssize_t inputs, places[MOST_INPUTS];
    int unknown;
    Rules rules;
    Tape *tape; /* NULL: nothing was recorded so far */
} Picker;

typedef struct {
    double kernel[MOST_VARIANTS], seconds[MOST_VARIANTS]; /* seconds: corrected, with what is around the kernel */
    int offered[MOST_VARIANTS];
} Predicted;

enum { FAILED = -1, UNUSUAL = 0, DONE = 1 };

/* --- predictions ---------------------------------------------------------------------------------------------- */

/* Runs the tape; results are its outputs at these places. NULL: it cannot tell. */
static const int32_t *
seconds_at(const Picker *p, const double *inputs)
{
    if (p->tape == NULL) {
        return NULL;
    }
    memcpy(p->tape->values, inputs, (size_t)p->inputs * sizeof(double));
    return run(p->tape);
}

static inline long
decade(double seconds)
{
    return (long)nearbyint(log10(seconds));
}

/* The logarithm of the ratio measured nearest to this size; 0 if there is none. */
static int
nearest(const Picker *p, Py_ssize_t variant, double kernel_s, const Known *known, Py_ssize_t facts, double *found)
{
    long least = -1;
    if (variant < 0 || kernel_s <= 0.0) {
        return 0;
    }
    for (Py_ssize_t k = 0; k < facts; ++k) {
        if (known[k].variant == variant) {
            const long away = labs(known[k].decade - decade(kernel_s));
            if (least < 0 || away < least || (away == least && known[k].log < *found)) {
                least = away;
                *found = known[k].log;
            }
        }
    }
    if (least < 0) {
        return 0;
    }
    *found *= pow(p->rules.distance, (double)least);
    return 1;
}

/* History._log */
static double
believed(const Picker *p, const Predicted *x, Py_ssize_t variant, const Known *known, Py_ssize_t facts)
{
    double log = 0.0, other = 0.0;
    if (nearest(p, variant, x->kernel[variant], known, facts, &log)) {
        return log;
    }
    if (p->unknown) {
        int any = 0;
        for (Py_ssize_t v = 0; v < p->count; ++v) {
            if (v != variant && nearest(p, v, x->kernel[v], known, facts, &other) && (!any || fabs(other) < fabs(log))) {
                any = 1;
                log = other;
            }
        }
        return any ? log : 0.0;
    }
    const Py_ssize_t seq = p->role[SEQ], omp = p->role[OMP];
    if (variant == omp && seq >= 0) {
        return nearest(p, seq, x->kernel[seq], known, facts, &other) ? p->rules.shared * other : 0.0;
    }
    if (variant == seq && omp >= 0) {
        return nearest(p, omp, x->kernel[omp], known, facts, &other) && other < 0.0 ? p->rules.shared * other : 0.0;
    }
    return 0.0;
}

/* Evaluator.at, History.corrected */
static int
predict(const Picker *p, const double *inputs, const Known *known, Py_ssize_t facts, Predicted *x)
{
    const int32_t *places = seconds_at(p, inputs);
    if (places == NULL) {
        return UNUSUAL;
    }
    const double *values = p->tape->values;
    for (Py_ssize_t v = 0; v < p->count; ++v) {
        x->kernel[v] = values[places[2 * v]];
        x->seconds[v] = x->kernel[v] + values[places[2 * v + 1]];
        x->offered[v] = 1;
        if (!isfinite(x->seconds[v])) {
            return UNUSUAL;
        }
    }
    if (facts > 0) {
        for (Py_ssize_t v = 0; v < p->count; ++v) {
            x->seconds[v] = x->kernel[v] * exp(believed(p, x, v, known, facts)) + values[places[2 * v + 1]];
        }
    }
    return DONE;
}

/* History.fresh */
static int
fresh(const Predicted *x, Py_ssize_t variant, const Known *known, Py_ssize_t facts)
{
    for (Py_ssize_t k = 0; k < facts; ++k) {
        if (known[k].variant == variant && known[k].fresh && x->kernel[variant] > 0.0 &&
            known[k].decade == decade(x->kernel[variant])) {
            return 1;
        }
    }
    return 0;
}

/* --- rules ---------------------------------------------------------------------------------------------------- */

/* rules.worth_threads */
static void
worth_threads(const Picker *p, Predicted *x, const Known *known, Py_ssize_t facts)
{
    const Py_ssize_t seq = p->role[SEQ], omp = p->role[OMP];
    if (seq >= 0 && omp >= 0 && x->seconds[omp] > x->seconds[seq] - p->rules.threads_save_s) {
        x->offered[omp] = fresh(x, seq, known, facts) && fresh(x, omp, known, facts);
    }
}

/* rules.cheapest */
static Py_ssize_t
cheapest(const Picker *p, const Predicted *x)
{
    const Py_ssize_t seq = p->role[SEQ];
    Py_ssize_t best = p->role[INTERP];
    if (seq >= 0 && x->seconds[seq] < x->seconds[best]) {
        best = seq;
    }
    for (int role = OMP; role < ROLES; ++role) {
        const Py_ssize_t wider = p->role[role];
        if (wider >= 0 && x->offered[wider] && x->seconds[wider] <= p->rules.margin * x->seconds[best]) {
            best = wider;
        }
    }
    return best;
}

static double
least(const Picker *p, const Predicted *x)
{
    double found = INFINITY;
    for (Py_ssize_t v = 0; v < p->count; ++v) {
        if (x->offered[v] && x->seconds[v] < found) {
            found = x->seconds[v];
        }
    }
    return found;
}

/* rules.worth */
static double
worth(const Picker *p, const Predicted *x, Py_ssize_t *compiled)
{
    const double interp = x->seconds[p->role[INTERP]];
    *compiled = -1;
    for (Py_ssize_t v = 0; v < p->count; ++v) {
        if (v != p->role[INTERP] && x->offered[v] && (*compiled < 0 || x->seconds[v] < x->seconds[*compiled])) {
            *compiled = v;
        }
    }
    if (*compiled < 0) {
        *compiled = p->role[INTERP];
    }
    if (interp > p->rules.retire_s && least(p, x) < interp - p->rules.decline_s) {
        return INFINITY;
    }
    const double gain = interp - p->rules.decline_s - x->seconds[*compiled];
    if (gain <= 0.0 || interp > p->rules.retire_s) {
        return gain <= 0.0 ? -INFINITY : INFINITY;
    }
    return p->rules.retire_calls * gain;
}

/* rules.until_review */
static double
until_review(const Picker *p, Py_ssize_t variant, double seconds, int known, double calls)
{
    const Rules *r = &p->rules;
    if (known) {
        return fmax(r->measured_calls, calls);
    }
    const double batch = fmax(r->try_calls, ceil(r->batch_s / fmax(seconds, r->batch_s / r->most_calls)));
    const double most = variant == p->role[SEQ] ? r->measured_calls : batch;
    return fmin(fmax(ceil(r->measured_s / seconds), r->fewest_calls), most);
}

#endif
