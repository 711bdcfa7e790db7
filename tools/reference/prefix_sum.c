#include <math.h>
#include <stdint.h>

void kernel(const double *x, int64_t n, double *y, int64_t ny)
{
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) {
        total += x[i];
        y[i] = total;
    }
}
