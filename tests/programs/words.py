"""Word counts of a small text; ends with an exception that nobody catches."""

TEXT = """It was the best of times, it was the worst of times, it was the age of wisdom,
it was the age of foolishness, it was the epoch of belief, it was the epoch of incredulity"""

counts = {}
longest = ""
for line in TEXT.splitlines():
    for word in line.split():
        word = word.strip(",.").lower()
        counts[word] = counts.get(word, 0) + 1
        if len(word) > len(longest):
            longest = word

for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:4]:
    print(f"{word:>6} {'*' * count} {count}")
print("longest:", longest)

letters = [0] * 26
for ch in TEXT:
    if ch.isalpha():
        letters[ord(ch.lower()) - 97] += 1
print(letters)

vowels = 0
for i in range(26):
    if chr(97 + i) in "aeiou":
        vowels += letters[i]
print("vowels", vowels, "last", i)


def mean(values, n):
    total = 0
    for k in range(n):
        total += values[k]
    return total / (n - len(values))


print(mean(letters, 25))
print(mean(letters, 26))
