"""The plain formats of tutorials: the answer's text as Server-Sent Events."""
