#include <math.h>
#include <stdint.h>

void kernel(const double *price, int64_t n, const double *strike, int64_t n1, const double *years, int64_t n2,
            double rate, double volatility, double *call, int64_t n3, double *put, int64_t n4)
{
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        double s = price[i], k = strike[i], t = years[i];
        double root = volatility * sqrt(t);
        double d1 = (log(s / k) + (rate + 0.5 * volatility * volatility) * t) / root;
        double d2 = d1 - root;
        double p1 = 0.5 + 0.5 * erf(d1 / sqrt(2.0));
        double p2 = 0.5 + 0.5 * erf(d2 / sqrt(2.0));
        double discounted = k * exp(-rate * t);
        call[i] = s * p1 - discounted * p2;
        put[i] = call[i] - s + discounted;
    }
}
