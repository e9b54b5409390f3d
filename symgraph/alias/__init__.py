"""Symgraph under the names of Keras: `import keras` and `from tensorflow.keras import ...` give symgraph.

Importing this package changes nothing and loads little; `install_as_keras` changes what imports find.
"""

from symgraph.alias.install import answer_imports, install_as_keras

__all__ = ["answer_imports", "install_as_keras"]
