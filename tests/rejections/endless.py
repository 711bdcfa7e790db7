"""Rejection endless."""


def spin(a):
    while True:
        a[0] += 1.0


def wait(n, done):
    while not done:
        n += 1
    return n


def wait_inside(n, a, done):
    while True:
        n += 1
        if n > 10 and n < 5:
            n = 0
        seen = done
        late = seen > 1
        if late:
            break
    return n


def element(flags, n):
    while flags[0] == 0:
        for i in range(n):
            if i > 5:
                break


class Worker:
    def run(self, n):
        while self.running:
            if self.paused:
                continue
            n += 1
        return n


def never_again(n, stop):
    for i in range(n):
        while stop:
            if i > 3:
                break
            n += 1
    return n
