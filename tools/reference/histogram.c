#include <math.h>
#include <stdint.h>

void kernel(const int64_t *index, int64_t n, int64_t *counts, int64_t bins)
{
#pragma omp parallel for reduction(+ : counts[:bins])
    for (int64_t i = 0; i < n; i++)
        counts[index[i]] += 1;
}
