"""A dense layer in plain Python."""


class Dense:
    def __init__(self, inputs, outputs, rng):
        bound = (6 / inputs) ** 0.5
        self.weights = [[rng.uniform(-bound, bound) for _ in range(inputs)] for _ in range(outputs)]
        self.bias = [0.0] * outputs
        self._forget()

    def _forget(self):
        self._gradient = [[0.0] * len(row) for row in self.weights]
        self._bias_gradient = [0.0] * len(self.bias)

    def forward(self, x):
        return [sum(map(float.__mul__, row, x)) + bias for row, bias in zip(self.weights, self.bias)]

    def gather(self, x, error):
        """Adds a sample to the gradient. Returns the error of what came in."""
        back = [0.0] * len(x)
        for at, value in enumerate(error):
            if value == 0.0:
                continue
            self._bias_gradient[at] += value
            self._gradient[at] = [sum_ + value * one for sum_, one in zip(self._gradient[at], x)]
            back = [sum_ + value * one for sum_, one in zip(back, self.weights[at])]
        return back

    def update(self, rate):
        for row, gradient in zip(self.weights, self._gradient):
            row[:] = [weight - rate * one for weight, one in zip(row, gradient)]
        self.bias = [value - rate * one for value, one in zip(self.bias, self._bias_gradient)]
        self._forget()
