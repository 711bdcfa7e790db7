#include <math.h>
#include <stdint.h>

void kernel(int64_t n, int32_t *steps, int64_t ns)
{
#pragma omp parallel for schedule(dynamic, 1024)
    for (int64_t start = 1; start < n; start++) {
        int64_t x = start;
        int32_t count = 0;
        while (x != 1) {
            if (x % 2 == 0)
                x /= 2;
            else
                x = 3 * x + 1;
            count++;
        }
        steps[start] = count;
    }
}
